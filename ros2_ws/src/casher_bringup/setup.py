from glob import glob

from setuptools import setup

setup(
    name="casher_bringup",
    version="0.1.0",
    packages=["casher_bringup"],
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/casher_bringup"]),
        ("share/casher_bringup", ["package.xml"]),
        ("share/casher_bringup/launch", glob("launch/*.py")),
        ("share/casher_bringup/config", glob("config/*.xml")),
        ("share/casher_bringup/config/kitchens", glob("config/kitchens/*.yaml")),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    maintainer="The CASHER maintainers",
    maintainer_email="maintainers@casher.example.org",
    description="The evaluation: graph, session, recorder, report and launch files.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "session_node = casher_bringup.session_node:main",
            "recorder_node = casher_bringup.recorder_node:main",
            "evaluate_node = casher_bringup.evaluate_node:main",
        ],
    },
)
